"""The exercises, a module for each chapter, a block for each exercise.

Each block says how the answer is called, on which inputs, what is right, and what the usual mistakes
are, with a diagnosis and a hint in every language beside each.
"""
