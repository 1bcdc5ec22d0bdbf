"""A workflow as a job elsewhere: the file that describes it, what travels with it, and the services that run it."""
