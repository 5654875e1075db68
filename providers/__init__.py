"""How state changes: Pulumi's create, read, update and delete over one engine each, and nothing else.

Module paths and class names are stored in every stack's state. Renaming one breaks `pulumi destroy` of
existing stacks (Pulumi imports the old name), so a rename needs a module that forwards.
"""
