#include "app/fitting_text.h"

#include <algorithm>
#include <string_view>

#include "base/core/utf8.h"
#include "engine/engine.h"

namespace app {

std::string fitting_text(const engine::Engine& engine, std::string text, std::size_t tokens_max) {
    for (;;) {
        const std::size_t tokens = engine.tokenizer().encode(text).size();
        if (tokens == 0) return {};
        if (tokens <= tokens_max) return text;
        // Tokens are spread evenly enough that few steps do; each takes off a byte at least.
        const std::size_t bytes = std::min(text.size() - 1, text.size() * tokens_max / tokens);
        text.resize(base::utf8_valid_prefix_bytes(std::string_view(text).substr(0, bytes)));
        if (text.empty()) return {};
    }
}

}  // namespace app
