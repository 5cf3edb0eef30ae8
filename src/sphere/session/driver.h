#pragma once
// What runs inside the box for a live session: an interpreter with a small program of ours.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sphere/spec.h"

namespace sphere {

enum class Language : std::uint8_t { python, node, bash };
inline constexpr std::array<std::pair<std::string_view, Language>, 3> kLanguages = {
    {{"python", Language::python}, {"node", Language::node}, {"bash", Language::bash}}};
std::string_view language_name(Language language);

namespace session {

/// Loaded by interpreters that wait to be given to somebody, where the box has them.
inline const std::vector<std::string> kPythonModules = {
    "collections", "csv",    "datetime", "functools",  "itertools",  "math",  "pathlib",
    "random",      "string", "re",       "statistics", "subprocess", "numpy", "pandas"};

/// The command of a session. It reads first a line, the mark that its answers carry (see
/// FrameSplitter), and may be started before there is one: then it warms up, `python_modules`
/// loaded, and says so with a byte of output.
ExecSpec driver_command(Language language, const std::vector<std::string>& python_modules);

/// A cell as the driver reads it. Bash has no zero bytes; the caller refuses them.
std::string cell_text(std::uint64_t number, std::string_view code);

}  // namespace session
}  // namespace sphere
