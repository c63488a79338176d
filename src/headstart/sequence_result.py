"""What ``fit --task`` hands back."""
