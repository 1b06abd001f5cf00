"""One module per runtime: from the spec to the facts of its server container. Pure; imports only modelport.api."""
