"""Forms: inputs made of the models' fields, what was typed into them, and their errors.

Not here: the pages that show them (api/web), and the rules for their values (scheduler/manage).
"""
