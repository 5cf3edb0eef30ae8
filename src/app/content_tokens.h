#pragma once
// Which tokens the visible content of a chat is made of: those of reasoning and of calls are not
// among them, nor those of a stop string. A text is taken apart later than its tokens are made, so
// tokens wait here until it is known what became of their text.

#include <cstddef>
#include <deque>
#include <vector>

#include "gate/model_backend.h"

namespace app {

/// Positions are bytes of the text of all tokens.
class ContentTokens {
public:
    /// The next token, and how much text came with it. One without text (part of a character)
    /// shares the fate of the next that has some.
    void add(gate::TokenLogprobs token, std::size_t text_bytes);
    /// Text that came without a token: the last one's, held back until now.
    void extend(std::size_t text_bytes);
    /// `bytes` of the text from `at` on are content. In the order of the text.
    void content(std::size_t at, std::size_t bytes);
    /// Nothing before `at` will become content any more.
    void decided(std::size_t at);
    /// `bytes` more of the content can be seen: appends the tokens that have a part in it to `out`.
    void shown(std::size_t bytes, std::vector<gate::TokenLogprobs>& out);

private:
    struct Waiting {
        gate::TokenLogprobs token;
        std::size_t begin = 0, end = 0;  ///< of the text; equal: not known yet
    };
    struct Content {
        gate::TokenLogprobs token;
        std::size_t begin = 0;  ///< in the content
    };
    std::deque<Waiting> waiting_;
    std::deque<Content> content_;  ///< not shown yet
    std::size_t text_bytes_ = 0, content_bytes_ = 0, shown_bytes_ = 0;
};

}  // namespace app
