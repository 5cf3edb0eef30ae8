#include "sphere/session/driver.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

extern "C" {
extern const char dg_python_driver_begin[], dg_python_driver_end[];
extern const char dg_node_driver_begin[], dg_node_driver_end[];
extern const char dg_bash_driver_begin[], dg_bash_driver_end[];
}

namespace sphere {

std::string_view language_name(Language language) {
    return kLanguages[static_cast<std::size_t>(language)].first;
}

namespace session {

ExecSpec driver_command(Language language, const std::vector<std::string>& python_modules) {
    const auto text = [](const char* begin, const char* end) { return std::string(begin, end); };
    ExecSpec spec;
    switch (language) {
        case Language::python:
            spec.argv = {"python3", "-c", text(dg_python_driver_begin, dg_python_driver_end),
                         fmt::format("{}", fmt::join(python_modules, ","))};
            spec.stdin_socket = true;
            break;
        case Language::node:
            spec.argv = {"node", "-e", text(dg_node_driver_begin, dg_node_driver_end)};
            break;
        case Language::bash:
            spec.argv = {"bash", "-c", text(dg_bash_driver_begin, dg_bash_driver_end)};
            break;
    }
    spec.stdin_open = true;
    spec.wall_timeout = std::chrono::milliseconds(0);
    spec.output_bytes_max = UINT64_MAX;  // bounded cell by cell
    return spec;
}

std::string cell_text(std::uint64_t number, std::string_view code) {
    return fmt::format("{} {}\n{}", number, code.size(), code);
}

}  // namespace session
}  // namespace sphere
