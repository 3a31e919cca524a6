"""The web page: shells that are the same for everybody, and modules that ask the public API.

views.py      which pages there are
shells.py     their HTML, from templates/
assets.py     the files of static/, held in memory and compressed once
charts.py     Vega's bundle and the charts' definitions, made when first asked for
static/js/    core/ (asking, drawing, the URL), parts/ (what several pages show), pages/ (one each)
"""
