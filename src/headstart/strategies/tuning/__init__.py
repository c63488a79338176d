"""What the fine-tuning strategies share: parts of one training loop."""
