#pragma once
// What runs inside the box for a live session: an interpreter with a small program of ours.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sphere {

enum class Language : std::uint8_t { python, node, bash };
inline constexpr std::array<std::pair<std::string_view, Language>, 3> kLanguages = {
    {{"python", Language::python}, {"node", Language::node}, {"bash", Language::bash}}};
std::string_view language_name(Language language);

namespace session {

/// The command of a session whose answers carry `mark` (see FrameSplitter).
std::vector<std::string> driver_command(Language language, const std::string& mark);

/// A cell as the driver reads it. Bash has no zero bytes; the caller refuses them.
std::string cell_text(std::uint64_t number, std::string_view code);

}  // namespace session
}  // namespace sphere
