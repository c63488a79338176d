"""The front door of tasks whose answer is a sequence."""
