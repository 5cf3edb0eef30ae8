# Runs the cells of a live session, one after another in one namespace. Its first argument marks what
# is ours in the two output streams; cells come on descriptor 0 as "<number> <bytes>\n" and the code.
# Ours is "\x1e<mark> <bytes> <1: the last piece>\n" and a piece that a pipe takes whole, so that
# whatever else writes meanwhile stays apart from it.
def _session():
    import ast, json, linecache, os, signal, sys, traceback
    mark = ("\x1e" + sys.argv[1] + " ").encode()
    cells = os.fdopen(os.dup(0), "rb", buffering=65536)  # not inherited
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.argv[:] = [""]
    sys.path.insert(0, "")
    names = sys.modules["__main__"].__dict__
    for name in [name for name in names if not name.startswith("__")]:
        del names[name]
    text_max, piece_max = 1 << 20, 3500
    running = [False]

    def interrupted(number, frame):
        if running[0]:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupted)
    sys.stdout.reconfigure(line_buffering=True)

    def write(descriptor, data):
        while data:
            data = data[os.write(descriptor, data):]

    def tell(answer):
        data = json.dumps(answer).encode()
        for at in range(0, len(data), piece_max):
            piece = data[at:at + piece_max]
            write(2, mark + b"%d %d\n" % (len(piece), at + piece_max >= len(data)) + piece)

    def result_of(value):
        text = repr(value)
        shown = {"text/plain": text[:text_max]}
        if len(text) > text_max:
            shown["truncated"] = True
        else:
            try:
                plain = json.dumps(value, allow_nan=False)
                if len(plain) <= text_max:
                    shown["application/json"] = plain
            except (TypeError, ValueError, RecursionError):
                pass
        return shown

    def error_of(error, name):
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename != name:
            trace = trace.tb_next
        lines = traceback.format_exception(type(error), error, trace)
        try:
            message = str(error)
        except Exception:
            message = "its text could not be made"
        return {"name": type(error).__name__, "message": message[:text_max],
                "traceback": "".join(lines)[:text_max]}

    def run(number, code):
        name = "<cell %s>" % number
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        answer = {"status": "ok"}
        try:
            running[0] = True
            tree = ast.parse(code, name)
            last = None
            if tree.body and isinstance(tree.body[-1], ast.Expr):
                last = ast.Expression(tree.body.pop().value)
            exec(compile(tree, name, "exec"), names)
            if last is not None:
                value = eval(compile(last, name, "eval"), names)
                if value is not None:
                    names["_"] = value
                    answer["result"] = result_of(value)
            running[0] = False
        except SystemExit:
            raise
        except BaseException as error:
            running[0] = False
            answer["status"] = "interrupted" if isinstance(error, KeyboardInterrupt) else "error"
            answer["error"] = error_of(error, name)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass
        return answer

    def end(number, answer):
        write(1, mark + b"0 1\n")
        answer["cell"] = number
        tell(answer)

    end(0, {"status": "ok", "version": sys.version.split()[0]})
    while True:
        head = cells.readline().split()
        if len(head) != 2:
            return
        code = cells.read(int(head[1])).decode("utf-8", "replace")
        try:
            answer = run(head[0].decode(), code)
        except KeyboardInterrupt as error:  # a second one, while the first was told
            running[0] = False
            answer = {"status": "interrupted", "error": error_of(error, "")}
        end(int(head[0]), answer)


_session()
