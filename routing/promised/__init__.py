"""Answers in a form that was promised: JSON, or JSON by a schema. Checked, asked for again, or free.

form       what was promised, and whether a text keeps it
looser     the schema of what may still become an answer
scanner    JSON as far as it has come
reader     what of a streamed answer may be shown, since nothing is ever taken back
promise    one request's: how often the model was asked again, and what that cost
flow       a streamed answer that keeps it
inspector  what takes long to check, in a process of its own
"""
