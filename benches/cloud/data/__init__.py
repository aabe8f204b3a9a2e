"""Seeded data that behaves like users' data, in the forms that the compared tools read."""
