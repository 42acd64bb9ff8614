"""What a cluster needs: images, manifests, and a cluster at home. Nothing here is imported by the jobs."""
