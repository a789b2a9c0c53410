"""A run's folder and what is derived from it: tables, model files, ONNX files, and its copy in a bucket.

May import study, tasks, command_line and engines.
"""
