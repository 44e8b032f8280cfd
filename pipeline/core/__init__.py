"""What every stage uses: configuration, errors, the stage runner, tools and output to the user."""
