#pragma once
// Texts cut to what a model takes.

#include <cstddef>
#include <string>

namespace engine {
class Engine;
}

namespace app {

/// The longest beginning of `text` with at most `tokens_max` tokens, of whole characters; empty
/// when the text has no token.
std::string fitting_text(const engine::Engine& engine, std::string text, std::size_t tokens_max);

}  // namespace app
