"""Sign-in: checks a password once and gives a session, for the front door to ask about on every request.

nginx asks `/verify` before each request (its `auth_request`), naming the workspace that the request is for. This
service answers from the session cookie, or from a password in HTTP Basic form. It knows nothing of queues or jobs.
"""
