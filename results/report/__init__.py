"""The report: pages of HTML for one run, for an ablation, or for several runs compared.

It may import results.analysis and results.plots. All HTML is made by the templates, through page.py.
"""
