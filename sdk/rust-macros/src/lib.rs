//! The attribute macros of the Rust SDK. Adapters use them through `uuk_adapter`, where they are documented.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as TokenStream2;
use quote::quote;
use syn::{FnArg, ItemFn, ReturnType, Type};

/// Has a function answer the operation whose `Request` it takes.
///
/// The function takes the request and, if it needs to know who asks, `&Context`; it returns
/// `Result<Response, Fault>`, or any error that converts into a fault.
#[proc_macro_attribute]
pub fn operation(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = syn::parse_macro_input!(item as ItemFn);
    let implementation = if arguments.is_empty() {
        answer(&function)
    } else {
        Err(syn::Error::new_spanned(TokenStream2::from(arguments), "`#[operation]` takes no arguments"))
    };
    let implementation = implementation.unwrap_or_else(syn::Error::into_compile_error);
    // Who answers owns the request, whether or not this answer needs to.
    quote! {
        #[allow(clippy::needless_pass_by_value)]
        #function
        #implementation
    }
    .into()
}

fn answer(function: &ItemFn) -> syn::Result<TokenStream2> {
    let name = &function.sig.ident;
    let request = request_type(function)?;
    let call =
        if function.sig.inputs.len() == 2 { quote!(#name(self, context)) } else { quote!(#name(self)) };
    Ok(quote! {
        impl ::uuk_adapter::Answer for #request {
            fn answer(
                self,
                context: &::uuk_adapter::Context,
            ) -> ::core::result::Result<Self::Response, ::uuk_adapter::Fault> {
                let _ = context;
                #call.map_err(::core::convert::Into::into)
            }
        }
    })
}

fn request_type(function: &ItemFn) -> syn::Result<&Type> {
    let signature = &function.sig;
    let refuse = |message| Err(syn::Error::new_spanned(signature, message));
    if signature.asyncness.is_some() || !signature.generics.params.is_empty() {
        return refuse("an operation is a plain function: neither async nor generic");
    }
    if matches!(signature.output, ReturnType::Default) {
        return refuse("an operation returns `Result<Response, Fault>`");
    }
    match (signature.inputs.first(), signature.inputs.len()) {
        (Some(FnArg::Typed(request)), 1 | 2) if matches!(*request.ty, Type::Path(_)) => Ok(&request.ty),
        _ => refuse("an operation takes its `Request` and, if it needs to know who asks, `&Context`"),
    }
}
