"""The REST API in API Gateway: routes, authorization, and the errors that API Gateway answers
itself."""
