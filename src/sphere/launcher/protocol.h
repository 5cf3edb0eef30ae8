#pragma once
// What the server, the launcher and the init of a box say to each other, over SEQPACKET sockets:
// one message a packet, of fixed size but for those that say that they carry bytes behind their
// head. Descriptors travel beside them in the order the message's comment gives. Both ends are
// built together; the version catches a launcher that is not.
//
// No heap and no exceptions here: the launcher uses this header too.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

namespace sphere::launcher {

inline constexpr std::uint32_t kMagic = 0x58426744;  // "DgBX"
inline constexpr std::uint16_t kVersion = 4;
inline constexpr std::size_t kMessageBytesMax = 128 * 1024;
inline constexpr std::size_t kDescriptorsMax = 40;
inline constexpr std::uint32_t kLayersMax = 16;    ///< below one workspace
inline constexpr std::size_t kWordsMax = 4096;     ///< arguments and variables of one command
inline constexpr std::uint32_t kFilterMax = 4096;  ///< the kernel's own limit of instructions
inline constexpr std::uint32_t kExecsMax = 64;     ///< commands that run in one box at a time
inline constexpr int kControlFd = 3;               ///< where a launcher finds the server
inline constexpr std::uint32_t kInsideId = 1000;   ///< user and group of everything in a box

enum class Type : std::uint16_t {
    configure = 1,  // server -> launcher
    configured,
    create,
    created,
    create_failed,
    ended,
    make_layer,  // server -> launcher
    layer_made,
    seal,  // server -> launcher
    sealed,
    ready = 16,  // init -> server
    setup_failed,
    listening,
    start,  // server -> init
    started,
    start_failed,
    exited,
    signal,
    prepare,
    dial,
    dialled,
    adopt,
    guest_setup = 32,  // guest_protocol.h
    input,
    input_taken,
    output,
    resize,
};

/// Where a step of making a box or a command failed; names in step_name.
enum class Step : std::uint32_t {
    none,
    message,
    staging,
    user_namespace,
    mount_namespace,
    system_root,
    devices,
    clone,
    id_map,
    cgroup,
    workspace,
    template_root,
    temporary,
    proc,
    pivot,
    identity,
    loopback,
    route,
    listen,
    limits,
    privileges,
    landlock,
    seccomp,
    terminal,
    descriptors,
    directory,
    execute,
    table_full,
    keep_temporary,
    seal,
    adopt,
};
const char* step_name(Step step);

struct Head {
    std::uint32_t magic = kMagic;
    std::uint16_t version = kVersion;
    Type type{};
    std::uint32_t bytes = 0;  ///< of the whole message
    std::uint32_t descriptors = 0;
};

/// Followed by `common_count` sock_filter, which the launcher itself and all that it begins obey,
/// and `filter_count`, which each command obeys besides. No descriptors.
struct Configure {
    static constexpr Type kType = Type::configure;
    Head head;
    std::uint32_t own_user_namespace = 0;  ///< not root: the launcher makes one first
    std::uint32_t filter_count = 0;
    std::uint32_t plain = 0;  ///< boxes of level process: no namespaces, nothing is mounted
    std::uint32_t common_count = 0;
    char staging[256] =
        {};  ///< an empty folder of the server's to mount on, in a namespace of its own
};
struct Configured {
    static constexpr Type kType = Type::configured;
    Head head;
    Step step = Step::none;  ///< none: ready to create
    std::int32_t error = 0;
};

enum CreateFlags : std::uint32_t {
    kLoopback = 1,      ///< bring the box's lo up
    kLeafGroup = 2,     ///< a v2 group to be born in
    kTemplateRoot = 4,  ///< a folder to be the root, instead of the host's system
    kNoNetwork = 8,     ///< no interface will ever be up: a namespace that others had will do
    kBroker = 16,       ///< with kLoopback: every address is local, and the server listens to it
    kUsedNetwork = 32,  ///< with kNoNetwork: this one, which a box had that has ended
};
inline constexpr std::uint16_t kHttpProxyPort = 3128, kSocksPort = 1080;  ///< of 127.0.0.1
inline constexpr std::size_t kPortsMax = 64;  ///< that one box is listened to at
/// Descriptors: the init's socket; with kLeafGroup the group's folder; with kTemplateRoot the
/// folder, in a plain launcher always the box's /workspace and /tmp; with kUsedNetwork the network
/// namespace; then `layers` folders, the topmost first, over which /workspace is made; then `joins`
/// files `tasks`.
struct Create {
    static constexpr Type kType = Type::create;
    Head head;
    std::uint64_t box = 0;
    std::uint32_t flags = 0;
    std::uint32_t host_id = 0;  ///< user and group outside; 0: the launcher's own
    std::uint32_t joins = 0;
    std::uint32_t port_count = 0;
    std::uint64_t tmp_bytes = 0, workspace_bytes = 0, inodes = 0;
    std::uint64_t keep_from = 0;  ///< not 0: a box whose /tmp and /dev/shm this one goes on with
    std::uint32_t layers = 0;
    std::uint32_t unused = 0;
    std::uint16_t ports[kPortsMax] = {};  ///< with kBroker: TCP, on every address
    char hostname[64] = {};
};
/// Descriptors: the init's pidfd; its /workspace; the layer that what it writes goes to; with
/// kNoNetwork and without kUsedNetwork its network namespace.
struct Created {
    static constexpr Type kType = Type::created;
    Head head;
    std::uint64_t box = 0;
    std::int32_t pid = 0;
    std::uint32_t unused = 0;
};
struct CreateFailed {
    static constexpr Type kType = Type::create_failed;
    Head head;
    std::uint64_t box = 0;
    Step step{};
    std::int32_t error = 0;
};
/// The init is gone and reaped, and with it everything in the box.
struct Ended {
    static constexpr Type kType = Type::ended;
    Head head;
    std::uint64_t box = 0;
    std::int32_t wait_status = 0;
    std::uint32_t unused = 0;
};

/// An empty file system to copy a workspace into. No descriptors.
struct MakeLayer {
    static constexpr Type kType = Type::make_layer;
    Head head;
    std::uint64_t request = 0;
    std::uint64_t bytes = 0, inodes = 0;
    std::uint32_t host_id = 0;
    std::uint32_t unused = 0;
};
/// Descriptors: its root, when `step` is none.
struct LayerMade {
    static constexpr Type kType = Type::layer_made;
    Head head;
    std::uint64_t request = 0;
    Step step = Step::none;
    std::int32_t error = 0;
};
/// Makes a layer's whole file system read-only, or writable again. Descriptors: the layer.
struct Seal {
    static constexpr Type kType = Type::seal;
    Head head;
    std::uint64_t request = 0;
    std::uint32_t read_only = 1;
    std::uint32_t unused = 0;
};
/// EBUSY: something in it is open for writing, and it stays as it was.
struct Sealed {
    static constexpr Type kType = Type::sealed;
    Head head;
    std::uint64_t request = 0;
    Step step = Step::none;
    std::int32_t error = 0;
};

struct Ready {
    static constexpr Type kType = Type::ready;
    Head head;
    std::int32_t landlock_abi = 0;
    std::uint32_t unused = 0;
};
struct SetupFailed {
    static constexpr Type kType = Type::setup_failed;
    Head head;
    Step step{};
    std::int32_t error = 0;
};

enum class Socket : std::uint32_t { connections, http_proxy, socks, dns_stream, dns_datagrams };
/// Before Ready, once for each socket that kBroker asked for. Descriptor: the socket.
struct Listening {
    static constexpr Type kType = Type::listening;
    Head head;
    Socket kind{};
    std::uint32_t unused = 0;
};

enum StartFlags : std::uint32_t {
    kTerminal = 1,   ///< descriptor 0 becomes the controlling terminal
    kExecGroup = 2,  ///< a v2 group to be born in
};
/// Of each process of a command.
struct ProcessLimits {
    std::uint32_t open_files = 0;
    std::uint32_t processes = 0;    ///< 0: no limit
    std::uint64_t cpu_seconds = 0;  ///< 0: no limit
    std::uint64_t data_bytes = 0;   ///< 0: no limit
    std::uint64_t file_bytes = 0;   ///< of each file; 0: no limit
    std::uint32_t processors = 0;   ///< keep to so many of those allowed; 0: all
    std::uint32_t unused = 0;
    bool operator==(const ProcessLimits&) const = default;
};
/// The next command's process, made before anybody asks for it: in its group, limited, filtered,
/// waiting for its Start on a socket of its own. Descriptors: that socket; with kExecGroup the
/// group's folder. The socket closes when the command executes; before that only StartFailed comes
/// on it. A process that ends without having read its Start leaves the socket reset.
struct Prepare {
    static constexpr Type kType = Type::prepare;
    Head head;
    std::uint64_t exec = 0;
    std::uint32_t flags = 0, unused = 0;
    ProcessLimits limits;  ///< without cpu_seconds
};
/// Followed by `words_bytes`: the working directory, `argc` arguments and `envc` variables, each
/// ended by a zero byte. Descriptors: stdin, stdout, stderr; with kExecGroup the group's folder.
/// On the socket of a Prepare its group and limits hold, but for cpu_seconds.
struct Start {
    static constexpr Type kType = Type::start;
    Head head;
    std::uint64_t exec = 0;
    std::uint32_t flags = 0;
    std::uint32_t argc = 0, envc = 0, words_bytes = 0;
    ProcessLimits limits;
};
/// A process of the box whose parent is the init from now on a command's. Answered as a Start.
struct Adopt {
    static constexpr Type kType = Type::adopt;
    Head head;
    std::uint64_t exec = 0;
    std::int32_t pid = 0;  ///< as the init sees it
    std::uint32_t unused = 0;
};
struct Started {
    static constexpr Type kType = Type::started;
    Head head;
    std::uint64_t exec = 0;
};
struct StartFailed {
    static constexpr Type kType = Type::start_failed;
    Head head;
    std::uint64_t exec = 0;
    Step step{};
    std::int32_t error = 0;
};
struct Exited {
    static constexpr Type kType = Type::exited;
    Head head;
    std::uint64_t exec = 0;
    std::int32_t wait_status = 0;
    std::uint32_t out_of_memory = 0;  ///< 1: a guest's own kernel killed something for it
    std::uint64_t cpu_us = 0;
    std::uint64_t resident_bytes_max = 0;
};
enum class Scope : std::uint32_t {
    group,
    box,
    left,  ///< to a guest: box, if the command has ended and what it left holds its streams
};
struct Signal {
    static constexpr Type kType = Type::signal;
    Head head;
    std::uint64_t exec = 0;
    std::int32_t number = 0;
    Scope scope{};  ///< the command's process group, or everything but the init
};

/// Begins a connection to the box's own loopback. It may not be complete when it is answered: the
/// init waits for nobody.
struct Dial {
    static constexpr Type kType = Type::dial;
    Head head;
    std::uint64_t request = 0;
    std::uint16_t port = 0, v6 = 0;
    std::uint32_t unused = 0;
};
/// Descriptor: the socket, unless `error` says why there is none.
struct Dialled {
    static constexpr Type kType = Type::dialled;
    Head head;
    std::uint64_t request = 0;
    std::int32_t error = 0;
    std::uint32_t unused = 0;
};

template <class Message>
Message make_message() {
    static_assert(std::is_trivially_copyable_v<Message>);
    Message message;
    message.head.type = Message::kType;
    message.head.bytes = sizeof(Message);
    return message;
}

/// The type of a packet whose head is sound and whose length is what the head says; else nothing.
bool read_head(std::span<const std::byte> packet, Head& head);

/// A packet as `Message`, its trailing bytes (if the type has any) left in place. False for another
/// type, another version or a wrong size.
template <class Message>
bool read_message(std::span<const std::byte> packet, Message& message) {
    Head head;
    if (!read_head(packet, head) || head.type != Message::kType) return false;
    constexpr bool kHasTail = Message::kType == Type::configure || Message::kType == Type::start ||
                              Message::kType == Type::input || Message::kType == Type::output ||
                              Message::kType == Type::guest_setup;
    if (kHasTail ? packet.size() < sizeof(Message) : packet.size() != sizeof(Message)) return false;
    std::memcpy(&message, packet.data(), sizeof(Message));
    return true;
}

/// A command as execve wants it; the pointers are into the packet.
struct Command {
    const char* directory = nullptr;
    char* argv[kWordsMax + 1] = {};
    char* envp[kWordsMax + 1] = {};
};
/// Fills `command` from a Start packet. False when counts, lengths or endings do not agree.
bool read_command(std::span<std::byte> packet, const Start& start, Command& command);

}  // namespace sphere::launcher
