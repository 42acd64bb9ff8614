"""What users have, form by form: how it is recognised, and the rows of the plan that it makes."""
