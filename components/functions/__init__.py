"""Code that runs in AWS, each file shipped by the component that needs it; nothing here is imported by the stack."""
