"""The shapes that cross the API's border: they check what comes in strictly and document what goes out."""
