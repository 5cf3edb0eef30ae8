#include "memory/embed/entry_text.h"

namespace memory::embed {

std::string entry_text(std::string_view content, std::string_view speaker) {
    std::string text(speaker);
    if (!text.empty()) text += ": ";
    return text.append(content);
}

}  // namespace memory::embed
