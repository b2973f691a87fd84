"""What runs on Kubernetes: manifests, and the programs that make images and secrets, deploy, and show how it stands."""
