"""An SNP platform in software: genuine in form, under a root of its own. It proves nothing about any hardware."""
