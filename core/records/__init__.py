"""Everything the service remembers: tables, queries and the job's state machine.

The only room with SQL. Every function takes the `Session` of a unit of work first and never
commits; `Database.read()` and `Database.write()` do. What is read comes back as ORM rows that
are detached from the session, so that each column is declared once, a row outlives its
transaction, and assigning to one changes nothing in the database.
"""
