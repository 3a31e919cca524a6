"""Requests to addresses that somebody else chose: the one door through which they go.

Whoever lets a stranger name a URL lends them this machine's place in the network. So a URL is
held to rules (`rules`), every address that its name stands for must be public or the operator's
own choice (`resolver`), and the connection is made to an address that was checked, not to the
name again (`post`). No redirect is followed and no proxy is asked.
"""
