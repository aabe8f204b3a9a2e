"""The compared tools: one module for each, with a class `Adapter` whose methods are the tasks that the tool can do."""
