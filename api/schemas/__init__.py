"""The wire's shapes: OpenAI's where it has them, our fields beside theirs."""
