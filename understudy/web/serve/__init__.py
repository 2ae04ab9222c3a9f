"""The console: a small web application over a lake, for people who decide by looking.

    access.py    who may come in, and what a browser may do on our pages
    index.py     what lists are read from, so that ten thousand drives answer at once
    console.py   what all requests share: the lake, its index, the drives that are open, the reviews
    app.py       the application and its errors
    drives.py    the start page, drives with their tracks, events
    moment.py    what a moment shows; media.py sends its pictures and plans second by second
    review.py    the queue of clips
    turns.py     turns, models, verdicts, and a running turn as it goes
    search.py    anywhere by identifier
    export.py    a moment as MCAP, clips in the formats of others
    run.py       the server itself

Pages are rendered here and need no build; static/ holds two styles and three scripts, which are all that a page loads.
"""
