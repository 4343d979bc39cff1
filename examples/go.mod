module github.com/sallyport-auth/sallyport/examples

go 1.26.0
