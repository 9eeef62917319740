"""What tests are made of: each module is named after what it makes."""
