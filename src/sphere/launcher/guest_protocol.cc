#include "sphere/launcher/guest_protocol.h"

namespace sphere::launcher {

std::span<std::byte> PacketCutter::next() {
    if (given_ > 0) {
        std::memmove(buffer_.data(), buffer_.data() + given_, filled_ - given_);
        filled_ -= given_;
        given_ = 0;
    }
    for (std::size_t noise = 0; !begun_ && filled_ >= sizeof(kMagic); ++noise) {
        begun_ = std::memcmp(buffer_.data(), &kMagic, sizeof(kMagic)) == 0;
        if (begun_) break;
        unsound_ = unsound_ || noise > kMessageBytesMax;
        std::memmove(buffer_.data(), buffer_.data() + 1, --filled_);
    }
    if (unsound_ || filled_ < sizeof(Head)) return {};
    Head head;
    std::memcpy(&head, buffer_.data(), sizeof(Head));
    if (head.magic != kMagic || head.version != kVersion || head.bytes < sizeof(Head) ||
        head.bytes > kMessageBytesMax || head.descriptors != 0) {
        unsound_ = true;
        return {};
    }
    if (filled_ < head.bytes) return {};
    given_ = head.bytes;
    return buffer_.first(given_);
}

}  // namespace sphere::launcher
