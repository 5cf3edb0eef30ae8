# Runs the cells of a live session, one after another in one namespace. Its argument names modules to
# load while it waits to be given to somebody. Descriptor 0 says first what marks our answers in the
# two output streams, then cells as "<number> <bytes>\n" and the code. An answer is
# "\x1e<mark> <bytes> <1: the last piece>\n" and a piece that a pipe takes whole, so that whatever
# else writes meanwhile stays apart from it.
# "fork 0\n" comes with three descriptors, the streams of a fork of this interpreter, which says
# "ready" on the first of them once the box's init is its parent. Refused: "<why>\n" on descriptor 0.
def _session():
    import ast, gc, json, linecache, os, select, signal, sys, traceback
    import _socket
    os_fork, leave = os.fork, os._exit
    class Ended(Exception):
        pass

    held, passed = bytearray(), []
    channel = [None]

    def listen(descriptor):
        try:
            channel[0] = _socket.socket(fileno=descriptor)
        except OSError:  # a pipe, at a level of isolation that has no more
            channel[0] = descriptor

    def receive():
        if isinstance(channel[0], int):
            data = os.read(channel[0], 65536)
        else:
            data, control, _, _ = channel[0].recvmsg(65536, 64, _socket.MSG_CMSG_CLOEXEC)
            for level, kind, content in control:
                if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
                    passed.extend(memoryview(content[:len(content) // 4 * 4]).cast("i"))
        if not data:
            raise Ended
        held.extend(data)

    def take_line():
        while True:
            end = held.find(b"\n")
            if end >= 0:
                line = bytes(held[:end])
                del held[:end + 1]
                return line
            receive()

    def take(count):
        while len(held) < count:
            receive()
        data = bytes(held[:count])
        del held[:count]
        return data

    listen(os.dup(0))  # not inherited
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    modules = sys.argv[1].split(",") if len(sys.argv) > 1 else []
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

    def is_wanted():
        return bool(select.select([channel[0]], [], [], 0)[0])

    def warm_up():
        """What a first cell would wait for, as long as nobody does."""
        for module in modules:
            if is_wanted():
                return
            try:
                __import__(module)
            except BaseException:  # not installed, or broken: the cell that wants it will see
                pass
        run("0", "1 + 1")
        names.pop("_", None)
        linecache.cache.clear()
        gc.collect()
        gc.freeze()
        if not is_wanted():
            os.write(1, b"\n")  # ready; nobody reads it
    sys.stdout.reconfigure(line_buffering=True)

    def reseed():
        """So that a fork does not draw what this interpreter draws; random does it by itself."""
        numpy = sys.modules.get("numpy.random")
        if numpy is not None:
            try:
                numpy.seed()
            except Exception:
                pass

    def fork_beside():
        """As os.fork, but that the fork's parent is ours, the init: no process between the two has to
        be copied and taken apart. None where this C library is not known or has threads to tell."""
        if (os.uname().machine != "x86_64" or os.getppid() != 1
                or len(os.listdir("/proc/self/task")) != 1):
            return None
        try:
            import ctypes
            lib = ctypes.PyDLL(None)
            lib.gnu_get_libc_version, lib.PyOS_AfterFork_Child, lib.PyOS_BeforeFork
            lib.pthread_self.restype = ctypes.c_void_p
            lib.syscall.restype = ctypes.c_long
            known_as = lib.pthread_self() + 720  # where glibc keeps the thread's number
            if ctypes.c_int.from_address(known_as).value != os.getpid():
                return None
        except Exception:
            return None
        number, none = ctypes.c_void_p(known_as), ctypes.c_void_p(0)
        flags = 0x8000 | 0x1000000 | 0x200000 | signal.SIGCHLD  # CLONE_PARENT, CHILD_SETTID, CLEARTID
        lib.PyOS_BeforeFork()
        pid = lib.syscall(ctypes.c_long(56), ctypes.c_ulong(flags), none, none, number, none)
        if pid == 0:
            lib.PyOS_AfterFork_Child()
            return 0
        lib.PyOS_AfterFork_Parent()
        if pid < 0:
            raise OSError
        return pid

    def fork_twice():
        middle = os_fork()
        if middle:
            _, status = os.waitpid(middle, 0)
            if status:
                raise OSError
            return middle
        try:
            if os_fork():
                leave(0)
        except OSError:
            leave(1)
        while os.getppid() != 1:
            os.sched_yield()
        return 0

    def fork(streams):
        """True in the fork. Raises OSError with the reason of a refusal."""
        others = len(sys._current_frames()) - 1
        if others > 0:
            raise OSError("it has %d other thread%s, and a fork would be without them; end them first"
                          % (others, "s" if others > 1 else ""))
        try:
            pid = fork_beside()
            if pid is None:
                pid = fork_twice()
        except OSError:
            raise OSError("no further process: the limit of processes or of memory") from None
        if pid:
            return False
        gc.freeze()  # looking for garbage among what is shared would copy it
        os.setsid()
        channel[0].close()
        listen(streams[0])
        os.dup2(streams[1], 1)
        os.dup2(streams[2], 2)
        os.close(streams[1])
        os.close(streams[2])
        del passed[:], held[:]
        reseed()
        channel[0].send(b"ready\n")
        return True

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

    def begin():
        nonlocal mark
        mark = b"\x1e" + take_line() + b" "
        end(0, {"status": "ok", "version": sys.version.split()[0]})

    def serve():
        head = take_line().split()
        if len(head) != 2:
            raise Ended
        if head[0] == b"fork":
            streams, passed[:] = passed[:], []
            try:
                if len(streams) != 3:
                    raise OSError("it was sent no streams")
                if fork(streams):
                    return begin()
            except OSError as error:
                channel[0].send(("%s\n" % error).encode("utf-8", "replace"))
            for stream in streams:
                os.close(stream)
            return
        code = take(int(head[1])).decode("utf-8", "replace")
        try:
            answer = run(head[0].decode(), code)
        except KeyboardInterrupt as error:  # a second one, while the first was told
            running[0] = False
            answer = {"status": "interrupted", "error": error_of(error, "")}
        end(int(head[0]), answer)

    mark = b""
    try:
        if not is_wanted():
            warm_up()
        begin()
        while True:
            serve()
    except Ended:
        return


_session()
