#include "base/files/file_error.h"

#include <cerrno>
#include <system_error>

namespace base {
namespace {

Code code_for(int error_number) {
    switch (error_number) {
        case ENOENT:
        case ENOTDIR:
            return Code::not_found;
        case EACCES:
        case EPERM:
        case EROFS:
            return Code::permission_denied;
        case EEXIST:
            return Code::already_exists;
        case EISDIR:
        case EINVAL:
        case ENAMETOOLONG:
        case ELOOP:
            return Code::invalid_argument;
        case ENOSPC:
        case EDQUOT:
        case ENOMEM:
        case EMFILE:
        case ENFILE:
            return Code::resource_exhausted;
        case EIO:
            return Code::data_loss;
        case ENOTEMPTY:
            return Code::failed_precondition;
        default:
            return Code::unavailable;
    }
}

std::string_view advice_for(int error_number) {
    switch (error_number) {
        case ENOSPC:
        case EDQUOT:
            return "; free space there or choose another folder";
        case EACCES:
        case EPERM:
            return "; check who owns it";
        default:
            return "";
    }
}

}  // namespace

std::unexpected<Error> fail_errno(int error_number, std::string_view action,
                                  const std::string& path) {
    return fail_on(path, code_for(error_number), "cannot {} {}: {}{}", action, path,
                   std::generic_category().message(error_number), advice_for(error_number));
}

}  // namespace base
