#include "sphere/launcher/protocol.h"

namespace sphere::launcher {

const char* step_name(Step step) {
    switch (step) {
        case Step::none:
            return "nothing";
        case Step::message:
            return "reading the message";
        case Step::staging:
            return "mounting the staging folder";
        case Step::user_namespace:
            return "making a user namespace";
        case Step::mount_namespace:
            return "making a mount namespace";
        case Step::system_root:
            return "binding the system's folders read-only";
        case Step::devices:
            return "binding the devices";
        case Step::clone:
            return "cloning into new namespaces";
        case Step::id_map:
            return "mapping user and group";
        case Step::cgroup:
            return "joining the control groups";
        case Step::workspace:
            return "mounting /workspace";
        case Step::template_root:
            return "mounting the root folder";
        case Step::temporary:
            return "mounting /tmp and /dev/shm";
        case Step::proc:
            return "mounting /proc";
        case Step::pivot:
            return "changing the root";
        case Step::identity:
            return "taking the box's user and name";
        case Step::loopback:
            return "bringing lo up";
        case Step::route:
            return "making every address local";
        case Step::listen:
            return "listening for the broker";
        case Step::limits:
            return "setting resource limits";
        case Step::privileges:
            return "dropping privileges";
        case Step::landlock:
            return "restricting by Landlock";
        case Step::seccomp:
            return "installing the system call filter";
        case Step::terminal:
            return "taking the terminal";
        case Step::descriptors:
            return "placing the descriptors";
        case Step::directory:
            return "entering the working directory";
        case Step::execute:
            return "executing the program";
        case Step::table_full:
            return "finding room for one more command";
        case Step::keep_temporary:
            return "taking over /tmp and /dev/shm";
        case Step::seal:
            return "making a workspace read-only";
        case Step::adopt:
            return "looking for a fork";
    }
    return "an unknown step";
}

bool read_head(std::span<const std::byte> packet, Head& head) {
    if (packet.size() < sizeof(Head)) return false;
    std::memcpy(&head, packet.data(), sizeof(Head));
    return head.magic == kMagic && head.version == kVersion && head.bytes == packet.size() &&
           head.bytes <= kMessageBytesMax && head.descriptors <= kDescriptorsMax;
}

bool read_command(std::span<std::byte> packet, const Start& start, Command& command) {
    if (start.argc == 0 || start.argc > kWordsMax || start.envc > kWordsMax) return false;
    if (packet.size() < sizeof(Start) || packet.size() - sizeof(Start) != start.words_bytes ||
        start.words_bytes == 0) {
        return false;
    }
    char* at = reinterpret_cast<char*>(packet.data() + sizeof(Start));
    char* const end = at + start.words_bytes;
    if (end[-1] != '\0') return false;
    const auto next = [&]() -> char* {
        if (at == end) return nullptr;
        char* const word = at;
        at += std::strlen(at) + 1;
        return word;
    };
    command.directory = next();
    for (std::uint32_t i = 0; i < start.argc; ++i) {
        if ((command.argv[i] = next()) == nullptr) return false;
    }
    command.argv[start.argc] = nullptr;
    for (std::uint32_t i = 0; i < start.envc; ++i) {
        if ((command.envp[i] = next()) == nullptr) return false;
    }
    command.envp[start.envc] = nullptr;
    return at == end;
}

}  // namespace sphere::launcher
