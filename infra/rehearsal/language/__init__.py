"""A language host for Python programs: what the Pulumi CLI starts to run `__main__.py`.

The released one is a separate download; this one is enough to type `pulumi preview` and `pulumi up` in a rehearsal.
"""
