import sys
from collections import Counter
from tests.oracle.references import REFERENCES
from tests.oracle import deviations
want=sys.argv[1:]
for r in REFERENCES:
    if not any(w in f"{r.parser}|{r.capture}" for w in want): continue
    try: found=r.agreement()
    except Exception as e:
        import traceback; traceback.print_exc(limit=3); print(r.parser,r.capture,'FAILED',e); continue
    c=Counter(d.field for d in found.differences)
    print('##',r.parser,'|',r.capture,found.matched['pdu'],sum(found.matched.values())-found.matched['pdu'],dict(c))
    _,un=deviations.split(r,found.differences)
    seen=Counter()
    for d in un:
        seen[d.field]+=1
        if seen[d.field]<=4: print('   ',d.place,d.field,'OURS',str(d.ours)[:300],'THEIRS',str(d.theirs)[:300])
