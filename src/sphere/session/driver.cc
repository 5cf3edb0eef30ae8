#include "sphere/session/driver.h"

#include <fmt/format.h>

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

std::vector<std::string> driver_command(Language language, const std::string& mark) {
    const auto text = [](const char* begin, const char* end) { return std::string(begin, end); };
    switch (language) {
        case Language::python:
            return {"python3", "-c", text(dg_python_driver_begin, dg_python_driver_end), mark};
        case Language::node:
            return {"node", "-e", text(dg_node_driver_begin, dg_node_driver_end), mark};
        case Language::bash:
            break;
    }
    return {"bash", "-c", text(dg_bash_driver_begin, dg_bash_driver_end), "bash", mark};
}

std::string cell_text(std::uint64_t number, std::string_view code) {
    return fmt::format("{} {}\n{}", number, code.size(), code);
}

}  // namespace session
}  // namespace sphere
