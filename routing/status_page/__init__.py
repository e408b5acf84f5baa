"""What everybody may know of how the installation does: a page, the same for programs, and a feed."""
