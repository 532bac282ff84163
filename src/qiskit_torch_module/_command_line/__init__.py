"""What the command line needs beside what it shows."""
