"""What is to be run, decided and checked before the first job: configuration, plan, paths."""
