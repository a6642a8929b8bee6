"""The integration for Falcon and other models that generate text with TGI."""
