"""One file per resource of the REST API. `handlers.api` takes in every module that is here."""
