"""Where data lie on the site's file system."""
