"""The integration of Falcon and other models that generate text with TGI."""
