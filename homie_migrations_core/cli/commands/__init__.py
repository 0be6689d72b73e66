"""The commands of `homie migrations`."""
